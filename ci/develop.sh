#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/develop.sh: an editable install in build/venv; `import meshlinalg` rebuilds what has changed.
source "$(dirname "$0")/env.sh"
use_main_venv
python -m pip install -q --no-build-isolation --no-deps -e . \
    -Ceditable.rebuild=true -Ceditable.verbose=false -Cbuild-dir=build/editable
echo 'now: source build/venv/bin/activate'
