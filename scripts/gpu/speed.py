"""Training speed on one device, beside PyTorch's, in turns: a table, and JSON beside it.

Every line is a process that waits for its turn (flexae_train_bench --serve, pytorch_line.py). Cases
are taken in the order given; what a time limit cuts off is said.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from networks import NETWORKS, flags, traffic

HERE = Path(__file__).resolve().parent

# (network, batch, precision, modes of PyTorch, whether ours also goes without a graph). The most
# telling first.
ALL = ("eager", "eager+graph", "compile", "compile+graph", "max-autotune")
FAST = ("eager+graph", "compile+graph", "max-autotune")
CASES = [
    ("default", 256, "bf16", ALL, True),
    ("mnist", 256, "bf16", FAST, False),
    ("rgb", 256, "bf16", FAST, False),
    ("deep", 64, "bf16", FAST, False),
    ("default", 32, "bf16", FAST, True),
    ("default", 256, "fp32", FAST, False),
    ("default", 1024, "bf16", FAST, False),
    ("mnist", 256, "fp32", FAST, False),
    ("rgb", 256, "fp32", FAST, False),
    ("deep", 64, "fp32", FAST, False),
    ("default", 32, "fp32", FAST, False),
    ("default", 1024, "fp32", ("eager+graph", "compile+graph"), False),
]
# The same for a few minutes of a GPU.
QUICK = [
    ("default", 256, "bf16", ALL, True),
    ("mnist", 256, "bf16", ("eager+graph", "compile+graph"), False),
    ("rgb", 256, "bf16", ("eager+graph", "compile+graph"), False),
    ("deep", 64, "bf16", ("eager+graph", "compile+graph"), False),
    ("default", 256, "fp32", ("eager+graph", "compile+graph"), False),
    ("default", 32, "bf16", ("eager+graph",), False),
    ("default", 1024, "bf16", ("eager+graph",), False),
]


class Line:
    """A process; its answers come by a thread, so that waiting for one can end."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path):
        self.name, self.samples, self.error, self.facts = name, [], "", {}
        self.losses: list[float] = []
        self.memory = 0.0
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, **environment}, text=True, cwd=HERE,
            )
        self.answers: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put(None)

    def answer(self, seconds: float) -> dict | None:
        """The next answer; None, with ``error`` set, where there is none in time."""
        try:
            line = self.answers.get(timeout=max(seconds, 0.1))
        except queue.Empty:
            self.error = f"no answer within {seconds:.0f} s"
            self.process.kill()
            return None
        if line is None:
            tail = self.log.read_text(errors="replace").strip().splitlines()
            self.error = (tail or ["it ended without a word"])[-1][:200]
            return None
        return json.loads(line)

    def ask(self, steps: int, seconds: float) -> dict | None:
        try:
            self.process.stdin.write(json.dumps({"steps": steps}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer(seconds)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def lines_of(case: tuple, arguments: argparse.Namespace) -> list[Line]:
    network, batch, precision, modes, sent = case
    logs = arguments.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    tag = f"{network}-{batch}-{precision}"
    ours = [
        str(arguments.bench), *flags(network), "--batch-size", str(batch), "--precision", precision,
        "--device", arguments.device, "--warmup", "6", "--peak-size", "0", "--serve",
        # What a GPU waits for needs no more; the threads of many processes would only spin.
        "--threads", "2",
    ]
    lines = [Line("ours", ours, {}, logs / f"{tag}-ours.log")]
    if sent:
        lines.append(
            Line("ours, no graph", ours, {"FLEXAE_CUDA_GRAPH": "0"}, logs / f"{tag}-sent.log")
        )
    for mode in modes:
        job = {"network": network, "batch": batch, "precision": precision, "mode": mode,
               "device": arguments.device}
        command = [sys.executable, str(HERE / "pytorch_line.py"), json.dumps(job)]
        # Compilers of many processes at once need no threads of their own.
        environment = {"TORCHINDUCTOR_COMPILE_THREADS": "4", "OMP_NUM_THREADS": "2"}
        lines.append(Line(f"PyTorch {mode}", command, environment, logs / f"{tag}-{mode}.log"))
    return lines


def take_turns(lines: list[Line], batch: int, arguments: argparse.Namespace) -> None:
    """Fills in samples, images a second, one a round."""
    for line in lines:
        first = line.ask(2, 60)
        if first is None:
            continue
        line.steps = max(2, round(arguments.block * 2 / first["seconds"]))
    for turn in range(arguments.rounds):
        order = lines if turn % 2 == 0 else lines[::-1]
        for line in order:
            if line.error:
                continue
            result = line.ask(line.steps, 60)
            if result is None:
                continue
            line.samples.append(line.steps * batch / result["seconds"])
            line.losses.append(result["loss"])
            line.memory = result.get("memoryBytes", 0)


def limits(device: str) -> dict[str, float]:
    """What the device does at best: a copy's bytes a second (read and written), products' FLOP/s."""
    program = f"""
import json, time, torch
device = torch.device({device!r})
cuda = device.type == "cuda"
torch.backends.cuda.matmul.allow_tf32 = True
def wait():
    if cuda: torch.cuda.synchronize()
def best(run, repeats):
    run(); wait(); least = 1e9
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeats): run()
        wait(); least = min(least, (time.perf_counter() - start) / repeats)
    return least
n = 2 << 30 if cuda else 1 << 27
a = torch.randint(0, 255, (n,), dtype=torch.uint8, device=device); b = torch.empty_like(a)
result = {{"copyBytesPerSecond": 2 * n / best(lambda: b.copy_(a), 5 if cuda else 1)}}
del a, b
size = 8192 if cuda else 1024
for name, kind in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
    x = torch.randn(size, size, device=device, dtype=kind); y = torch.randn_like(x)
    z = torch.empty_like(x)
    seconds = best(lambda: torch.mm(x, y, out=z), 10 if cuda else 1)
    result[name + "FlopsPerSecond"] = 2 * size**3 / seconds
result["deviceName"] = torch.cuda.get_device_name(device) if cuda else "CPU"
result["torch"] = torch.__version__
print(json.dumps(result))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    if done.returncode != 0:
        print(f"the device's limits could not be measured: {done.stderr.strip()[-200:]}")
        return {}
    return json.loads(done.stdout)


def report(case: tuple, lines: list[Line], peak: dict[str, float]) -> dict:
    network, batch, precision, *_ = case
    print(f"\n{network}, batch {batch}, {precision}")
    rows, rates = [], {}
    for line in lines:
        if not line.samples:
            print(f"  {line.name:24} not measured: {line.error or 'no turn'}")
            rows.append({"name": line.name, "error": line.error})
            continue
        rate = statistics.median(line.samples)
        rates[line.name] = rate
        print(
            f"  {line.name:24} {rate:11.0f} images/s  {1e3 * batch / rate:8.3f} ms "
            f"({1e3 * batch / max(line.samples):.3f} to {1e3 * batch / min(line.samples):.3f})  "
            f"{line.memory / 2**30:6.2f} GiB  loss {line.losses[-1]:.4f}"
        )
        rows.append({"name": line.name, "imagesPerSecond": line.samples, "median": rate,
                     "memoryBytes": line.memory, "losses": line.losses})
    result = {"network": network, "batch": batch, "precision": precision, "lines": rows}
    theirs = [rate for name, rate in rates.items() if not name.startswith("ours")]
    ours = rates.get("ours")
    if ours and theirs:
        ratios = []
        best = max((line for line in lines if line.samples and not line.name.startswith("ours")),
                   key=lambda line: statistics.median(line.samples))
        mine = next(line for line in lines if line.name == "ours")
        ratios = [a / b for a, b in zip(mine.samples, best.samples)]
        result["fastestPeer"], result["ratio"] = best.name, statistics.median(ratios)
        print(f"  ours is {statistics.median(ratios):.2f} times {best.name} "
              f"({min(ratios):.2f} to {max(ratios):.2f})")
    facts = next((line.facts for line in lines if "macs" in line.facts), None)
    if ours and facts and peak:
        flops = 6 * facts["macs"]
        slots = 2
        image, whole = traffic(network, 2 if precision == "bf16" else 4, facts["parameters"], slots)
        moved = image * batch + whole
        step = batch / ours
        least = max(flops * batch / peak[f"{precision}FlopsPerSecond"],
                    moved / peak["copyBytesPerSecond"])
        result |= {"flopsAStep": flops * batch, "bytesAStep": moved, "leastSeconds": least}
        of_matrix = 100 * flops * batch / peak[precision + "FlopsPerSecond"] / step
        of_copy = 100 * moved / peak["copyBytesPerSecond"] / step
        print(f"  at least {1e3 * least:.3f} ms: {flops * batch / 1e9:.1f} GFLOP ({of_matrix:.1f} % "
              f"of the matrix rate), {moved / 1e9:.2f} GB ({of_copy:.1f} % of the copy rate)")
    sys.stdout.flush()
    return result


def wanted(case: tuple, only: str) -> bool:
    name = f"{case[0]}-{case[1]}-{case[2]}"
    return not only or any(name.startswith(part) for part in only.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, required=True, help="flexae_train_bench")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--block", type=float, default=0.25, help="seconds of a turn")
    parser.add_argument("--limit", type=float, default=240, help="seconds in all")
    parser.add_argument("--cases", default="", help="e.g. default-256-bf16,mnist")
    parser.add_argument("--quick", action="store_true", help="fewer cases, all at once")
    parser.add_argument("--ours", action="store_true", help="without PyTorch")
    parser.add_argument("--together", type=int, default=(os.cpu_count() or 4) + 4,
                        help="processes that warm up at a time")
    arguments = parser.parse_args()
    arguments.bench = arguments.bench.resolve()
    arguments.out = arguments.out.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + arguments.limit

    peak = limits(arguments.device)
    print(json.dumps(peak))
    results: list[dict] = []
    cases = QUICK if arguments.quick else CASES
    left = [case for case in cases if wanted(case, arguments.cases)]
    if arguments.quick:
        arguments.together = 1000
    if arguments.ours:
        left = [(*case[:3], (), case[4]) for case in left]
    while left:
        if time.monotonic() > end - 20:
            break
        # As many cases as may warm up together; measuring waits until all of them have.
        group: list[tuple[tuple, list[Line]]] = []
        started = time.monotonic()
        while left and (not group or sum(len(lines) for _, lines in group) + 2
                        + len(left[0][3]) <= arguments.together):
            case = left.pop(0)
            group.append((case, lines_of(case, arguments)))
        turns = sum(len(lines) for _, lines in group) * (arguments.rounds + 1)
        ready_by = end - 5 - 1.3 * turns * arguments.block
        try:
            for _, lines in group:
                for line in lines:
                    line.facts = line.answer(ready_by - time.monotonic()) or {}
            print(f"\n[{time.monotonic() - started:.0f} s until all were warm]")
            for case, lines in group:
                ready = [line for line in lines if not line.error]
                known = {line.facts["parameters"] for line in ready}
                if len(known) > 1:
                    print(f"  these are different networks: {known}")
                if time.monotonic() < end:
                    take_turns(ready, case[1], arguments)
                results.append(report(case, lines, peak))
                (arguments.out / "speed.json").write_text(
                    json.dumps({"limits": peak, "cases": results}, indent=1)
                )
        finally:
            for _, lines in group:
                for line in lines:
                    line.end()
    for case in left:
        print(f"not measured for want of time: {case[0]}-{case[1]}-{case[2]}")
    if any(line.get("error") for result in results for line in result["lines"]
           if line["name"].startswith("ours")):
        sys.exit(1)


main()
