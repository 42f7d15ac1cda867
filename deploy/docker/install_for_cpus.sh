#!/bin/sh
# Installs Actoscope, with the extras that are named (postgres,train), for a machine without a GPU of NVIDIA's.
# TORCH_INDEX: of PyTorch's builds for CPUs, as its installation page names it; without it torch is the registry's build, which
# brings CUDA's libraries. TensorFlow's build for CPUs is the registry's; `pip check` then misses one called tensorflow.
set -e
if [ -n "$TORCH_INDEX" ]; then
    pip install -c constraints.txt --no-deps --index-url "$TORCH_INDEX" torch torchvision
fi
pip install -c constraints.txt -e ".[$1]"
if [ "$(uname -m)" = x86_64 ]; then
    pip uninstall -y tensorflow
    pip install -c constraints.txt --no-deps tensorflow-cpu
fi
