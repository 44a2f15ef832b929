#!/usr/bin/env bash
# The paper's claims on simulated galaxies, from the galaxies to results/README.md.
#
#     runs/science.sh [STEP...]
#
# STEP: simulate learnable difficulty main ceiling second sweep mix left-out share-10 share-1 real
# verdicts page; without one all of them, in that order. And final, the test half of the rings, for
# the very end. Run it in the root of the repository. OUT is where everything goes
# (runs-local/science, some GB), SHARED the real galaxies of step `real`, THREADS the cores it takes,
# WEIGHTS the lambdas of the sweep. A step that was stopped goes on where it was. Steps need
# `simulate`; `left-out` and `mix` take runs from `main`. Two steps may run at once, with
# THREADS=1 each.
set -euo pipefail
out=${OUT:-runs-local/science}
shared=${SHARED:-../shared/galaxies}
galaxies=${GALAXIES:-100000} rings=${RINGS:-60000} weights=${WEIGHTS:-1 0.1 10}
[ -f runs/science.sh ] || { echo "run this in the root of the repository" >&2; exit 2; }
export OMP_NUM_THREADS=${THREADS:-2}
here=runs/science
sim=$out/sim
mkdir -p "$out"

run() { echo "+ $*" >&2; "$@"; }

# reproduce NAME FOLDER [--final]: run a protocol into a folder, going on with what is there.
reproduce() {
  local resume=()
  [ ! -e "$out/$2/protocol.json" ] || resume=(--resume)
  run hoag reproduce "$sim" --roles "$sim/science.toml" --protocol "$here/$1.toml" \
    --out "$out/$2" --device cpu ${resume[@]+"${resume[@]}"} "${@:3}"
}

simulate() {
  [ -e "$sim/truth.parquet" ] || run hoag simulate "$sim" --galaxies "$galaxies" --rings "$rings" --size 64
  [ -e "$sim/science.toml" ] || run python $here/bars_and_mergers.py "$sim"
}

learnable() { reproduce learnable learnable; }
difficulty() { [ -e "$out/main/predictions/rings.npz" ] || reproduce difficulty main; }
main() { reproduce main main; }
ceiling() { run python $here/ceiling.py "$sim" "$out/main" --json results/science/ceiling.json; }
second() { reproduce second second; }
share-10() { reproduce share-10 share-10; }
share-1() { reproduce share-1 share-1; }

# taken FOLDER ARM: the run of an arm from `main`, which is the very one that would be made again.
taken() {
  [ -e "$out/$1/runs/$2" ] || { mkdir -p "$out/$1/runs" && cp -r "$out/main/runs/$2" "$out/$1/runs/"; }
}

mix() {
  taken mix pretrained
  taken mix contrastive
  reproduce mix mix
}

left-out() {
  taken left-out contrastive # it learns from no votes
  reproduce left-out left-out
}

# cell NAME ARM CHANGES...: one run of a fifth of main's steps, and its representations.
cell() {
  local name=$1 arm=$2 run=$out/sweep/runs/$1 vectors=$out/sweep/$1.parquet resume=()
  shift 2
  [ ! -e "$vectors" ] || return 0
  if ! grep -qs '"finished": true' "$run/run.json"; then
    [ ! -e "$run/run.json" ] || resume=(--resume)
    run hoag train "paper/$arm" "$sim" --out "$run" --device cpu ${resume[@]+"${resume[@]}"} \
      encoder.name=resnet18 'encoder.options={channels=[16,32,64,128]}' images.size=64 \
      images.decode=64 batch.size=128 training.precision=bf16-mixed training.patience=0 \
      training.steps=300 training.validate_every=300 training.validation_galaxies=2000 "$@"
  fi
  run hoag embed "$run" "$out/sweep-rings.parquet" --which last --out "$vectors" --device cpu
}

sweep() {
  mkdir -p "$out/sweep"
  [ -e "$out/sweep-rings.parquet" ] ||
    run python $here/first_rows.py "$sim/rings.parquet" 16000 "$out/sweep-rings.parquet"
  cell pretrained pretrained
  cell contrastive contrastive
  local cells=() mixing weight
  # Paper's mixing and lambda 1, as in `main`, but with more galaxies with votes in each batch.
  for weight in 0.6 1.0; do
    cell "labelled $weight of a batch" hybrid batch.labelled_fraction=$weight
    cells+=("$out/sweep/labelled $weight of a batch.parquet")
  done
  for weight in $weights; do
    for mixing in paper equation3 fixed ema_norm; do
      cell "$mixing-$weight" hybrid objective.mixing=$mixing objective.weight=$weight
      cells+=("$out/sweep/$mixing-$weight.parquet")
    done
  done
  run hoag probe "$out/sweep/pretrained.parquet" "$sim" "$out/sweep/contrastive.parquet" "${cells[@]}" \
    --task rings --sizes 100 --sizes 761 --sizes 5000 --out "$out/sweep/probe"
}

real() {
  local resume=()
  [ ! -e "$out/real/protocol.json" ] || resume=(--resume)
  run hoag reproduce "$shared" --roles recipes/shared-galaxies.toml --protocol $here/real.toml \
    --out "$out/real" --device cpu ${resume[@]+"${resume[@]}"}
}

verdicts() {
  run python $here/verdicts.py "$out/main" --second "$out/second" --json results/science/verdicts.json
}
# The test half, opened once: after the verdicts, and not by a run of all steps.
final() { reproduce main main --final; }
page() {
  run python $here/write_results.py "$out"
  cp results/science/fig1.png docs/fig1.png # the site cannot show what lies outside docs/
}

all=(simulate learnable difficulty main ceiling second sweep mix left-out share-10 share-1 real verdicts page)
for step in "${@:-${all[@]}}"; do
  [[ " ${all[*]} final " == *" $step "* ]] || { echo "no step '$step'; there are ${all[*]}" >&2; exit 2; }
  $step
done
