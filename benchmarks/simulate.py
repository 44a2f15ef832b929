"""How fast galaxies are simulated, in galaxies a second on one core, JPEG included.

    python benchmarks/simulate.py [--size 128] [--galaxies 400] [--repeats 5]

Prints the median and the best over the repeats of all pretraining galaxies, and of those of each
survey. Processor time of this process is counted, so other work on the machine matters less.
"""

import argparse
import time
from collections import defaultdict
from statistics import median

from hoag.provenance import commit, machine
from hoag.simulator import draw

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
parser.add_argument("--galaxies", type=int, default=400, help="galaxies drawn in each repeat")
parser.add_argument("--repeats", type=int, default=5)


def main() -> None:
    options = parser.parse_args()
    for number in range(20):  # kernels are made and cached by the first galaxies
        draw(number, size=options.size)
    rates = defaultdict(list)
    for _ in range(options.repeats):
        seconds, counts = defaultdict(float), defaultdict(int)
        for number in range(options.galaxies):
            started = time.process_time()
            survey = draw(number, size=options.size).survey
            for name in ("all", survey):
                seconds[name] += time.process_time() - started
                counts[name] += 1
        for name, count in counts.items():
            rates[name].append(count / seconds[name])
    print(f"commit {commit()}, {machine()['processor']}, {options.size} px")
    for name, values in sorted(rates.items()):
        print(f"{name:<14}{median(values):8.0f} galaxies/s/core (best {max(values):.0f})")


if __name__ == "__main__":
    main()
