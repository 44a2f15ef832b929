"""``python -m hoag``, for torchrun and machines without the script on their path."""

from hoag.cli import main

main()
