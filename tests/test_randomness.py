import numpy as np
import pytest
import torch
from scipy import stats

from hoag import randomness
from hoag.randomness import DROPOUT, VIEW_ONE, VIEW_TWO, key_tensor, keys, normal, seeded, uniform

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def mix(z: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser, as in its authors' C code."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def reference(seed: int, step: int, galaxy_keys: np.ndarray, n: int, stream: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        state = np.zeros(1, np.uint64)
        for part in (seed, step, stream):
            state = mix(state + np.array([part & (2**64 - 1)], np.uint64) + GAMMA)
        start = mix(galaxy_keys ^ state)
        bits = mix(start[:, None] + np.arange(1, n + 1, dtype=np.uint64) * GAMMA)
    return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def some_keys(n: int) -> np.ndarray:
    return keys(str(number) for number in range(n))


def test_splitmix64_gives_its_published_first_numbers():
    # Seed 1234567 of the reference implementation (Vigna 2015).
    states = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * GAMMA
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert mix(states).tolist() == published
    signed = randomness._mix(torch.from_numpy(states.view(np.int64).copy()))
    assert signed.numpy().view(np.uint64).tolist() == published
    assert [randomness._mix_int(int(state)) for state in states] == published


@pytest.mark.parametrize("seed", [0, 1, -5, 2**63 + 11])
@pytest.mark.parametrize("step", [0, 7, -1, 10**12])
def test_equals_an_unsigned_reference_to_the_bit(seed, step):
    galaxy_keys = some_keys(50)
    drawn = uniform(seed, step, key_tensor(galaxy_keys), 33, VIEW_ONE)
    assert drawn.dtype == torch.float32
    assert np.array_equal(drawn.numpy(), reference(seed, step, galaxy_keys, 33, VIEW_ONE))


def test_uniform_over_columns_rows_steps_and_seeds():
    one_key = key_tensor(some_keys(1))
    samples = {
        "columns": uniform(0, 0, one_key, 20_000, VIEW_ONE)[0],
        "rows": uniform(0, 0, key_tensor(some_keys(20_000)), 1, VIEW_ONE)[:, 0],
        "steps": torch.cat([uniform(0, step, one_key, 1, VIEW_ONE)[0] for step in range(3000)]),
        "seeds": torch.cat([uniform(seed, 0, one_key, 1, VIEW_ONE)[0] for seed in range(3000)]),
        "small keys": uniform(0, 0, torch.arange(20_000), 1, VIEW_ONE)[:, 0],
    }
    for name, sample in samples.items():
        assert sample.min() >= 0 and sample.max() < 1
        assert stats.kstest(sample.numpy(), "uniform").pvalue > 1e-3, name


@pytest.mark.parametrize(
    "other",
    [
        {"stream": VIEW_TWO},
        {"stream": DROPOUT},
        {"step": 1},
        {"seed": 1},
        {"seed": 5, "step": 4},
        {"keys": torch.arange(1, 20_001)},
    ],
    ids=str,
)
def test_neighbouring_arguments_give_independent_numbers(other):
    base = {"seed": 0, "step": 0, "keys": torch.arange(20_000), "n": 4, "stream": VIEW_ONE}
    one, two = uniform(**base), uniform(**(base | other))
    assert abs(np.corrcoef(one.flatten(), two.flatten())[0, 1]) < 4 / 80_000**0.5
    table = np.histogram2d(one.flatten().numpy(), two.flatten().numpy(), bins=8)[0]
    assert stats.chisquare(table.flatten()).pvalue > 1e-3


def test_columns_are_independent_of_each_other():
    drawn = uniform(3, 9, key_tensor(some_keys(20_000)), 6, VIEW_ONE).numpy()
    off_diagonal = np.corrcoef(drawn.T)[~np.eye(6, dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / 20_000**0.5


def test_arguments_swapped_between_roles_differ():
    key_one = torch.tensor([1])
    drawn = {
        tuple(uniform(*order[:2], key_one, 4, order[2])[0].tolist())
        for order in [(1, 2, 3), (2, 1, 3), (3, 2, 1), (1, 3, 2), (3, 0, 3), (0, 3, 3), (3, 3, 0)]
    }
    assert len(drawn) == 7


def test_a_row_depends_on_its_own_key_alone():
    many = key_tensor(some_keys(64))
    whole = uniform(1, 2, many, 10, VIEW_ONE)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(uniform(1, 2, many[order], 10, VIEW_ONE), whole[order])
    assert torch.equal(uniform(1, 2, many[5:6], 10, VIEW_ONE), whole[5:6])
    # Asking for more numbers does not change the first ones.
    assert torch.equal(uniform(1, 2, many, 30, VIEW_ONE)[:, :10], whole)


def test_normal_is_normal():
    drawn = normal(0, 0, key_tensor(some_keys(200)), 101, VIEW_ONE)
    assert drawn.shape == (200, 101)
    assert torch.isfinite(drawn).all()
    assert stats.kstest(drawn.flatten().numpy(), "norm").pvalue > 1e-3
    assert torch.equal(drawn[3:4], normal(0, 0, key_tensor(some_keys(200)[3:4]), 101, VIEW_ONE))
    assert torch.equal(drawn[:, :42], normal(0, 0, key_tensor(some_keys(200)), 42, VIEW_ONE))
    assert abs(np.corrcoef(drawn.T)[~np.eye(101, dtype=bool)]).max() < 5 / 200**0.5


def test_keys_are_blake2b_of_the_id():
    assert randomness.key("123") == 0xDF5D468709753429
    assert keys(["123", "0123"]).dtype == np.uint64
    assert randomness.key("123") != randomness.key("0123")
    assert keys(["123"])[0] == randomness.key("123")
    assert len(set(some_keys(10_000).tolist())) == 10_000


def test_key_tensor_keeps_every_bit():
    top = np.array([2**64 - 1, 2**63, 0, 1], np.uint64)
    assert key_tensor(top).tolist() == [-1, -(2**63), 0, 1]


def test_seeded_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    with seeded(7):
        one = torch.rand(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    with seeded(7):
        assert torch.equal(torch.rand(3), one)
    with seeded(8):
        assert not torch.equal(torch.rand(3), one)
