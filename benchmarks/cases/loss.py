"""The loss of votes: zoobot's, and two passes of lgamma and digamma over the asked answers."""

import numpy as np
from turns import Bench, Peer

from cases import made


def vote_loss(bench: Bench) -> None:
    """65 questions, 206 answers, forward and backward, one thread."""
    import torch

    from hoag import load_schema
    from hoag.votes import asked, negative_log_likelihood

    bench.use_threads(1)
    schema, batch = load_schema(), bench.size(512, 16)
    votes = torch.from_numpy(made.votes(batch))
    random = torch.Generator().manual_seed(0)
    concentration = 1 + 100 * torch.rand(votes.shape, generator=random)
    was_asked = asked(votes, schema)
    of_asked = was_asked[:, torch.tensor(schema.question_index.copy())]
    alpha, counts = concentration[of_asked], votes[of_asked]
    paths = {"votes": bench.folder / "votes.npy", "concentration": bench.folder / "alpha.npy"}
    np.save(paths["votes"], votes.numpy())
    np.save(paths["concentration"], concentration.numpy())

    def ours() -> "tuple[torch.Tensor, torch.Tensor]":
        inputs = concentration.clone().requires_grad_()
        nll = negative_log_likelihood(votes, inputs, schema)
        nll.sum().backward()
        assert inputs.grad is not None
        return nll.detach(), inputs.grad

    def floor() -> None:
        torch.lgamma(alpha + counts), torch.lgamma(alpha)
        torch.digamma(alpha + counts), torch.digamma(alpha)

    few = 20 if not bench.tiny else 1
    row = bench.compare(
        "vote-loss", {"hoag": lambda: [ours() for _ in range(few)],
                      "floor": lambda: [floor() for _ in range(few)]},
        {"peer": 8}, count=few * batch, repeats=15,
        peer=lambda: Peer("vote-loss", 1, questions=made.questions(), turns=few, **paths),
        **{"share asked": round(float(was_asked.float().mean()), 3)},
    )  # fmt: skip
    if bench.peers:
        theirs = np.load(f"{paths['votes']}.peer.npz")
        nll, gradient = ours()
        row["difference"] = float(np.abs(theirs["value"] - nll.numpy()).max())
        row["difference of gradients"] = float(np.abs(theirs["gradient"] - gradient.numpy()).max())
        row["asked"]["difference"] = 1e-4
        row["found"]["difference"] = row["difference"]
        row["reached"]["difference"] = row["difference"] <= 1e-4


CASES = {"vote-loss": vote_loss}
