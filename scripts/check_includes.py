#!/usr/bin/env python3
"""Checks the layer rule: which folder may include which, and where each external library may appear."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Folder -> folders it may include (itself is always allowed). The same table stands in docs/architecture.md.
ALLOWED = {
    "common": set(),
    "cli": {"common"},
    "process": {"common"},
    "rpc": {"common"},
    "billing": {"common"},
    "image": {"common"},
    "archive": {"common"},
    "mesh": {"common", "image"},
    "ovoxel": {"common", "image", "mesh"},
    "bake": {"common", "image", "mesh", "ovoxel"},
    "dataset": {"common", "archive"},
    "render": {"common", "image", "mesh"},
    "nn": {"common"},
    "preprocess": {"common", "cli", "archive", "dataset", "image", "mesh", "ovoxel", "render", "nn"},
    "train": {"common", "cli", "dataset", "image", "nn"},
    "infer": {"common", "bake", "dataset", "image", "mesh", "ovoxel", "render", "nn"},
    "infer/server": {"common", "rpc", "infer"},
    "infer/program": {"common", "cli", "rpc", "infer", "infer/server", "preprocess"},
    "evaluate": {"common", "cli", "dataset", "image", "infer", "mesh", "ovoxel", "render"},
    "nano": {"common", "cli", "archive", "dataset", "image", "mesh", "ovoxel", "render", "nn", "preprocess", "train", "infer",
             "evaluate"},
    "coordinator": {"common", "rpc", "billing"},
    "worker": {"common", "cli", "process", "rpc"},
    "client": {"common", "cli", "process", "rpc", "billing", "archive", "dataset", "image", "mesh", "render"},
}

# External header pattern -> folders (or files) that may include it. Tests and benchmarks may include anything.
EXTERNAL = {
    r"(torch|ATen|c10)/": {"nn", "preprocess", "train", "infer", "nano"},
    r"(grpcpp|google/protobuf|espalier/v1)/": {"rpc", "infer/server", "infer/program", "coordinator", "worker", "client"},
    r"CLI/": {"cli/app.cpp"},
    r"assimp/|meshoptimizer": {"mesh"},
    r"zip\.h": {"archive"},
    r"yaml-cpp/": {"common/config.cpp", "cli/defaults.cpp"},
    r"boost/": {"process", "coordinator"},
    r"soci|sqlite3": {"coordinator"},
    r"prometheus/": {"coordinator"},
    r"embree": {"render"},
    r"seccomp": {"preprocess"},
    r"(spdlog|fmt)/": {"common/log.cpp"},
    r"(png|jpeglib)\.h|webp/|stb/": {"image"},
    r"(lzma|zstd)\.h|Eigen/": {"ovoxel"},
}
# A header of these folders must not pull torch in, even where a source may: they are the seams of the control plane.
TORCH_FREE_HEADERS = {"train/trainer.h", "infer/engine.h", "preprocess/pipeline.h", "nn/io/base_model.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


def folder_of(path: str) -> str | None:
    known = [name for name in ALLOWED if path.startswith(name + "/")]
    return max(known, key=len, default=None)


def faults(path: str) -> list[str]:
    folder = folder_of(path)
    if folder is None or path.endswith("main.cpp"):  # a program joins what no library may
        return []
    found = []
    for included in INCLUDE.findall((ROOT / path).read_text()):
        target = folder_of(included)
        if target and target != folder and target not in ALLOWED[folder]:
            found.append(f"{path}: includes {included}, but {folder} may not use {target}")
        for pattern, homes in EXTERNAL.items():
            if re.match(pattern, included) and folder not in homes and path not in homes:
                found.append(f"{path}: includes {included}, which belongs in {', '.join(sorted(homes))}")
        if path in TORCH_FREE_HEADERS and re.match(r"(torch|ATen|c10)/", included):
            found.append(f"{path}: includes {included}, but this header must stay free of torch")
    return found


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "*.h", "*.cpp", "*.cu", "*.cuh"], cwd=ROOT, capture_output=True, text=True, check=True)
    all_faults = [fault for path in listed.stdout.split() if (ROOT / path).exists() for fault in faults(path)]
    print("\n".join(all_faults) or f"layers hold in {len(listed.stdout.split())} files")
    return 1 if all_faults else 0


if __name__ == "__main__":
    sys.exit(main())
