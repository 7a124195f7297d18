#!/bin/sh
# On a machine with a CUDA GPU, torch, Transformers and pip, and perhaps no network, from the checkout:
#   sh tests/benchmarks/cuda.sh WHEELS [options of python -m tests.benchmarks]
# WHEELS is a folder that `python -m tests.benchmarks.pack WHEELS` made elsewhere.
set -eu
wheels=$1
shift
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
python3 -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl
PYTHONPATH=$site python3 -m tests.benchmarks --device cuda --here "$@"
