"""Galaxies assembled: published votes, downloads, cutouts, FITS images, and one GZ-Evo of them all."""
