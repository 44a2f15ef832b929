#!/usr/bin/env bash
# Is the simulator realistic? Sheets, distributions and a telltale classifier, beside real galaxies.
#
#     runs/simulator.sh [GALAXIES] [OUT]
#
# GALAXIES: the folder of real galaxies; OUT: everything that is made, some 60 MB. Run it in the root
# of the repository, with photutils installed beside hoag (runs/simulator/requirements.txt). A step
# is made again when what it left is deleted.
set -euo pipefail
shared=${1:-../shared/galaxies}
out=${2:-runs-local/simulator}
[ -f runs/simulator.sh ] || { echo "run this in the root of the repository" >&2; exit 2; }
[ -d "$shared" ] || { echo "$shared: no such folder of galaxies" >&2; exit 2; }
export OMP_NUM_THREADS=${THREADS:-1}
mkdir -p "$out"

# unless MADE COMMAND...: run the command if what it makes is not there yet.
unless() {
  [ -e "$1" ] && return
  shift
  echo "+ $*" >&2
  "$@"
}

unless "$out/sky" hoag simulate "$out/sky" --galaxies 10000 --rings 1200 --workers "$OMP_NUM_THREADS"
unless "$out/beside-sdss.png" python runs/simulator/sheets.py "$out/sky" "$shared" "$out"
unless "$out/morphology.json" python runs/simulator/morphology.py "$out/sky" "$shared" "$out" 400
unless "$out/telltale.json" python runs/simulator/telltale.py "$out/sky" "$shared" "$out" 300
# Beside those of version 1, which results/simulator keeps.
python runs/simulator/table.py results/simulator/version-1 "$out"
