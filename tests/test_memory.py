import subprocess
import sys

import pytest

from hoag.memory import available_memory, in_words

FAULTS = """
import resource, sys, torch
from hoag.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(64 << 18)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
keep_freed_memory()
for _ in range(8):  # until what is kept is enough
    after = faults()
print(before, after)
"""


def test_available_memory_is_some_and_said_in_words():
    assert available_memory() > 1e6
    assert in_words(820e6) == "820 MB"


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's malloc can be told")
def test_memory_that_is_freed_is_used_again():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert after <= before / 4, (before, after)
