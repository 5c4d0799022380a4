"""Embedding images with an encoder exported to ONNX, by onnxruntime."""

from __future__ import annotations

import onnxruntime
import protocol
import torch


def check(
    session: onnxruntime.InferenceSession, encoder: torch.nn.Module, batch: torch.Tensor
) -> None:
    """Refuses a graph that does not compute what the encoder computes."""
    (embedding,) = session.run(["embedding"], {"images": batch.numpy()})
    with torch.inference_mode():
        meant = encoder(batch)
    error = (torch.from_numpy(embedding) - meant).abs().max().item()
    if not error <= 1e-3 * max(1, meant.abs().max().item()):
        raise SystemExit(f"its embeddings are {error} off")


def main() -> None:
    job = protocol.request()
    # torch is here for the check alone, and is to leave no threads behind.
    torch.set_num_threads(1)
    images = torch.from_numpy(protocol.images(job)).float().div_(255)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = onnxruntime.InferenceSession(
        job["onnx"], options, providers=["CPUExecutionProvider"]
    )
    encoder = torch.jit.load(job["encoder"]).eval()
    check(session, encoder, images[:4])
    parameters = sum(p.numel() for p in encoder.state_dict().values())
    del encoder
    batches = [batch.numpy() for batch in images.split(job["batchSize"])]
    position = 0

    def run(steps: int) -> dict[str, float]:
        nonlocal position
        for _ in range(steps):
            session.run(["embedding"], {"images": batches[position % len(batches)]})
            position += 1
        return {}

    facts = {"parameters": parameters, "version": onnxruntime.__version__}
    protocol.serve(run, facts, warm_up=5)


main()
