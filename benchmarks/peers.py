"""The peers that hoag is measured against, in an environment of their own.

    python benchmarks/peers.py install

Makes benchmarks/.peers (6 GB) with zoobot 2.9.0, galaxy-datasets 0.0.25 and lightly 1.6 from PyPI,
and of torch, timm, numpy and others the versions that hoag runs with here, so that what differs is
the peers' own. What was installed before is left.
"""

import argparse
import subprocess
import sys
import venv
from importlib.metadata import version

from turns import PEERS, PYTHON

SAME = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "torchmetrics")
# What the peers import; without wandb's and litmodels' trackers, tensorflow and tests.
NEEDED = (
    "lightning", "pytorch-lightning", "pandas", "pyarrow", "omegaconf", "datasets", "hydra-core",
    "h5py", "webdataset", "huggingface_hub", "astropy", "matplotlib", "pillow", "requests", "tqdm",
)  # fmt: skip
PEER = ("zoobot==2.9.0", "galaxy-datasets==0.0.25", "lightly==1.6.*")


def install() -> None:
    """Make the environment."""
    venv.create(PEERS, with_pip=True)
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    same = [f"{name}=={version(name)}" for name in SAME]
    subprocess.run([*pip, *same, *NEEDED], check=True)
    # Without what they depend on: torchaudio and wandb, which these benchmarks never use.
    subprocess.run([*pip, "--no-deps", *PEER], check=True)
    names = ("zoobot", "galaxy-datasets", "lightly", "torch")
    show = f"from importlib.metadata import version as v; print({{n: v(n) for n in {names}}})"
    subprocess.run([PYTHON, "-c", show], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["install"])
    parser.parse_args()
    install()
    sys.exit(0)
