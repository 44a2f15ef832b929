"""Contact sheets: simulated galaxies beside real ones, to look at, and simulated ones alone.

python runs/simulator/sheets.py SKY SHARED OUT

OUT/beside-*.png hold real galaxies and belong in no repository; OUT/simulated-*.jpg may be shown.
"""

import sys
from pathlib import Path

from pairs import PAIRS, encoded_pair
from PIL import Image

from hoag.simulator.sheet import write_sheet

ROWS, COLUMNS = 4, 10


def main() -> None:
    sky, shared, out = map(Path, sys.argv[1:4])
    for name in PAIRS:
        made, real = encoded_pair(sky, shared, name, ROWS * COLUMNS)
        file = name.replace(" ", "-")
        groups = [(f"simulated {name}", made), (f"real: {', '.join(PAIRS[name][1])}", real)]
        write_sheet(groups, out / f"beside-{file}.png", columns=COLUMNS)
        alone = write_sheet(
            [(f"simulated {name}", made[: 2 * COLUMNS])], out / f"simulated-{file}.png", size=96
        )
        with Image.open(alone) as sheet:
            sheet.convert("RGB").save(alone.with_suffix(".jpg"), quality=82)
        alone.unlink()


if __name__ == "__main__":
    main()
