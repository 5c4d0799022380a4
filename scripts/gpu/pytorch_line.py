"""A training in plain PyTorch on a GPU (or a CPU), as a process that takes its turns.

What an expert would write: channels_last, autocast to bf16 or TF32, the images as bytes on the
device, the fastest form of the optimizer; by ``mode``

- ``eager``            operation by operation
- ``eager+graph``      the whole step captured in a CUDA graph
- ``compile``          torch.compile's default
- ``compile+graph``    that, and the whole step captured in a CUDA graph
- ``max-autotune``     torch.compile(mode="max-autotune"), which uses CUDA graphs itself
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers"))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from networks import NETWORKS, options  # noqa: E402
from pytorch_network import Network  # noqa: E402


def make_optimizer(name: str, rate: float, model: torch.nn.Module, captured: bool):
    """PyTorch's fastest form of an optimizer, with Keras's hyper-parameters."""
    cuda = next(model.parameters()).is_cuda
    if name == "adadelta":
        return torch.optim.Adadelta(
            model.parameters(), lr=rate, rho=0.95, eps=1e-7, foreach=True,
            capturable=cuda and captured,
        )
    return torch.optim.Adam(
        model.parameters(), lr=rate, eps=1e-7, fused=True, capturable=cuda and captured
    )


def main() -> None:
    job = json.loads(sys.argv[1])
    device, mode, batch = torch.device(job["device"]), job["mode"], job["batch"]
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    spec, o = NETWORKS[job["network"]], options(job["network"])
    model = Network(o, channels_last=True).to(device).train()
    update = make_optimizer(
        spec["optimizer"], spec["learningRate"], model, mode not in ("eager", "compile")
    )
    generator = torch.Generator().manual_seed(3)
    batches = 4 if batch <= 256 else 2
    shape = (batches * batch, o["height"], o["width"], o["channels"])
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device)
    narrow = (
        torch.autocast(device.type, dtype=torch.bfloat16)
        if job["precision"] == "bf16"
        else contextlib.nullcontext()
    )

    def forward(x: torch.Tensor) -> torch.Tensor:
        pixels = x.permute(0, 3, 1, 2).float() / 255
        with narrow:
            logits = model(pixels)
        return F.binary_cross_entropy_with_logits(logits.float(), pixels)

    if mode in ("compile", "compile+graph"):
        forward = torch.compile(forward)
    elif mode == "max-autotune":
        forward = torch.compile(forward, mode="max-autotune")
    total = torch.zeros((), device=device)
    take_step = update.step
    if spec["optimizer"] == "adadelta" and mode in ("compile+graph", "max-autotune"):
        # There is no fused Adadelta; compiled, its passes over memory become one.
        take_step = torch.compile(update.step)

    def step(x: torch.Tensor) -> None:
        loss = forward(x)
        loss.backward()
        take_step()
        update.zero_grad(set_to_none=True)
        total.add_(loss.detach())

    captured = None
    if mode.endswith("+graph") and device.type == "cuda":
        static = images[:batch].clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step(static)
        torch.cuda.current_stream().wait_stream(side)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            step(static)
    position = 0

    def run(steps: int) -> dict[str, float]:
        nonlocal position
        total.zero_()
        for _ in range(steps):
            begin = position % batches * batch
            position += 1
            x = images[begin : begin + batch]
            if captured is not None:
                static.copy_(x)
                captured.replay()
            else:
                if mode == "max-autotune":
                    torch.compiler.cudagraph_mark_step_begin()
                step(x)
        return {"loss": total.item() / steps}

    def answer(value: dict) -> None:
        print(json.dumps(value), file=_answers, flush=True)

    run(5)
    parameters = sum(p.numel() for p in model.parameters()) + sum(
        b.numel() for n, b in model.named_buffers() if not n.endswith("num_batches_tracked")
    )
    answer({"ready": True, "parameters": parameters, "version": torch.__version__})
    for line in sys.stdin:
        steps = json.loads(line)["steps"]
        start = time.perf_counter()
        result = run(steps)
        seconds = time.perf_counter() - start
        memory = torch.cuda.max_memory_reserved() if device.type == "cuda" else 0
        answer({"seconds": seconds, "memoryBytes": memory, **result})


main()
