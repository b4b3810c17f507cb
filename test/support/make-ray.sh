#!/bin/sh
# Installs Ray from PyPI into a virtual environment, for test/unit/runs/ray/real-ray.test.ts (about 400 MB; needs Python 3.10 to 3.13).
# Usage: test/support/make-ray.sh [FOLDER], by default ~/.cache/lfp-lens-ray; LFP_TEST_RAY names another folder to the tests.
set -e
folder=${1:-${LFP_TEST_RAY:-$HOME/.cache/lfp-lens-ray}}
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet "ray[default]==2.60.0"
"$folder/bin/ray" --version
