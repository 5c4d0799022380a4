"""Embedding images with an exported encoder, as one would in Python."""

from __future__ import annotations

import protocol
import torch


def main() -> None:
    job = protocol.request()
    torch.set_num_threads(job["threads"])
    images = torch.from_numpy(protocol.images(job)).float().div_(255)
    if job["layout"] == "channels_last":
        images = images.contiguous(memory_format=torch.channels_last)
    batches = list(images.split(job["batchSize"]))
    encoder = torch.jit.load(job["encoder"]).eval()
    parameters = sum(p.numel() for p in encoder.state_dict().values())
    with torch.inference_mode():
        if job["optimize"]:
            encoder = torch.jit.optimize_for_inference(torch.jit.freeze(encoder))
        position = 0

        def run(steps: int) -> dict[str, float]:
            nonlocal position
            with torch.autocast("cpu", torch.bfloat16, enabled=job["precision"] == "bf16"):
                for _ in range(steps):
                    encoder(batches[position % len(batches)])
                    position += 1
            return {}

        protocol.serve(run, {"parameters": parameters, "version": torch.__version__}, warm_up=5)


main()
