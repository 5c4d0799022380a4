"""Training steps in PyTorch."""

from __future__ import annotations

import contextlib
from typing import Any

import protocol
import torch
import torch.nn.functional as F
from pytorch_network import Network, optimizer

# How far a different order of summation may take an output from the exported model's.
TOLERANCE = 1e-3


def check_network(model: Network, path: str, images: torch.Tensor) -> None:
    """Given the weights of an exported model, the network must compute what that computes."""
    exported = torch.jit.load(path)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    weights = exported.state_dict()
    model.load_state_dict(
        {name: weights.get(name, value) for name, value in fresh.items()}, strict=True
    )
    missing = {n for n in fresh if not n.endswith("num_batches_tracked")} - weights.keys()
    if missing:
        raise SystemExit(f"the exported model has no {sorted(missing)}")
    model.eval()
    with torch.inference_mode():
        error = (model(images).sigmoid() - exported(images)).abs().max().item()
    if not error < TOLERANCE:
        raise SystemExit(f"this is another network: its outputs differ by {error}")
    model.load_state_dict(fresh)
    model.train()


WARM_UP = 3


def make(job: dict[str, Any]) -> protocol.Served:
    """Training steps of a job, and what is to be said of it."""
    torch.set_num_threads(job["threads"])
    torch.manual_seed(1)
    channels_last = job["layout"] == "channels_last"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = Network(job["options"], channels_last)
    # In memory as the network likes them: neither scaling nor layout is part of a step here.
    images = torch.from_numpy(protocol.images(job)).float().div_(255).contiguous(memory_format=layout)
    batches = list(images.split(job["batchSize"]))
    check_network(model, job["autoencoder"], batches[0][:4])
    update = optimizer(job["optimizer"], job["learningRate"], model)

    def forward(x: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(model(x), x)

    if job["compile"]:
        forward = torch.compile(forward)
    autocast = (
        torch.autocast("cpu", dtype=torch.bfloat16)
        if job["precision"] == "bf16"
        else contextlib.nullcontext()
    )
    position = 0

    def run(steps: int) -> dict[str, float]:
        nonlocal position
        torch.set_num_threads(job["threads"])
        total = torch.zeros(())
        for _ in range(steps):
            x = batches[position % len(batches)]
            position += 1
            update.zero_grad(set_to_none=True)
            with autocast:
                loss = forward(x)
            loss.backward()
            update.step()
            total += loss.detach()
        return {"loss": total.item() / steps}

    parameters = sum(p.numel() for p in model.parameters()) + sum(
        b.numel() for n, b in model.named_buffers() if not n.endswith("num_batches_tracked")
    )
    return run, {"parameters": parameters, "version": torch.__version__}


def main() -> None:
    job = protocol.request()
    if job.get("serves"):
        protocol.serve_many(make, WARM_UP)
    else:
        protocol.serve(*make(job), warm_up=WARM_UP)


main()
