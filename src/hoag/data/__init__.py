"""Galaxies assembled: votes, downloads, cutouts and FITS images joined into one GZ-Evo."""
