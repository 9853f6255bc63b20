"""Runs our LoRA optimizer step and PyTorch + PEFT's side by side on the same weights, turn by turn.

Call through scripts/bench-lora-step, which makes the environment. Prints steps per second of both, their ratio (median
of the turns), the peak memory of both processes, and how far the losses are apart.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time


def pytorch_worker(folder, threads):
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file

    from dense_dit import DenseDit

    torch.set_num_threads(threads)
    model = DenseDit(json.loads((folder / "config.json").read_text()))
    model.load_state_dict(load_file(folder / "base.safetensors"))
    model.requires_grad_(False)
    model = PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True)
    inputs = load_file(folder / "inputs.safetensors")
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01)
    print("ready", flush=True)
    for line in sys.stdin:
        steps, start, cpu = int(line), time.perf_counter(), time.process_time()
        for _ in range(steps):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(inputs["x"], inputs["t"], inputs["cond"]), inputs["target"])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
        seconds = time.perf_counter() - start
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"steps": steps, "seconds": seconds, "cpu_seconds": time.process_time() - cpu,
                          "loss": loss.item(), "peak_rss_mib": rss}), flush=True)


class Worker:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{command[0]} did not start")

    def run(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(args):
    with tempfile.TemporaryDirectory() as folder:
        size = ["--batch", str(args.batch), "--blocks", str(args.blocks), "--threads", str(args.threads)]
        ours = Worker([args.program, "--folder", folder, *size])
        theirs = Worker([sys.executable, __file__, "--worker", folder, "--threads", str(args.threads)])
        losses = [(ours.run(1)["loss"], theirs.run(1)["loss"]) for _ in range(3)]
        turns, cpu = [], []
        for turn in range(args.turns):
            a, b = ours.run(args.steps), theirs.run(args.steps)
            losses.append((a["loss"], b["loss"]))
            turns.append((a["seconds"] / args.steps, b["seconds"] / args.steps))
            cpu.append(b["cpu_seconds"] / a["cpu_seconds"])
            print(f"turn {turn + 1}: ours {turns[-1][0]:.3f} s/step, PyTorch + PEFT {turns[-1][1]:.3f} s/step", flush=True)
        ours.close()
        theirs.close()
    ours_s, theirs_s = (statistics.median(t[i] for t in turns) for i in (0, 1))
    ratio = statistics.median(t[1] / t[0] for t in turns)
    apart = max(abs(a - b) / abs(b) for a, b in losses)
    print(f"ours {1 / ours_s:.3f} steps/s, PyTorch + PEFT {1 / theirs_s:.3f} steps/s, ratio {ratio:.2f}x")
    print(f"processor time ratio {statistics.median(cpu):.2f}x (less sensitive to other load)")
    print(f"peak memory: ours {a['peak_rss_mib']} MiB, PyTorch + PEFT {b['peak_rss_mib']} MiB")
    print(f"losses apart by at most {apart:.1e} (relative)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default="build/bin/bench_lora_step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2, help="optimizer steps of a turn")
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        pytorch_worker(args.worker, args.threads)
    else:
        compare(args)


if __name__ == "__main__":
    main()
