#!/usr/bin/env bash
# What hoag does on real galaxies, from training to the pictures of docs/real-galaxies.md.
#
#     runs/real-galaxies.sh [GALAXIES] [OUT]
#
# GALAXIES: the folder of real galaxies; OUT: everything that is made, some 400 MB. Run it in the
# root of the repository. Stopped, it goes on where it was; a step is made again when what it left
# is deleted. THREADS bounds the cores it takes.
set -euo pipefail
shared=${1:-../shared/galaxies}
out=${2:-runs-local/real-galaxies}
[ -f runs/real-galaxies.sh ] || { echo "run this in the root of the repository" >&2; exit 2; }
[ -d "$shared" ] || { echo "$shared: no such folder of galaxies" >&2; exit 2; }
export OMP_NUM_THREADS=${THREADS:-2}

# run MADE COMMAND...: say a command, run it, and keep it beside what it made.
run() {
  local made=$1
  shift
  echo "+ $*" >&2
  "$@"
  printf '%s\t%s\n' "$made" "$*" >> "$out/commands.tsv"
}

# unless MADE COMMAND...: run the command if what it makes is not there yet.
unless() { [ -e "$1" ] || run "$@"; }

# trained RUN COMMAND...: run a command that trains until its run says that it has ended.
trained() {
  local folder=$1 resume=()
  shift
  grep -qs '"finished": true' "$folder/run.json" && return
  [ ! -e "$folder/run.json" ] || resume=(--resume)
  run "$folder" "$@" --out "$folder" ${resume[@]+"${resume[@]}"}
}

# The tables, with the roles that keep every tested galaxy out of training.
galaxies=$out/galaxies
mkdir -p "$galaxies" "$out/labels" "$out/found" "$out/searched" "$out/classes"
for table in "$(cd "$shared" && pwd)"/*.parquet; do ln -sfn "$table" "$galaxies/"; done
cmp -s recipes/shared-galaxies.toml "$galaxies/dataset.toml" || cp recipes/shared-galaxies.toml "$galaxies/dataset.toml"

# (a) A model, and one that is not trained at all.
size=(encoder.name=resnet18 'encoder.options={channels=[24,48,96,192]}' images.size=64
  images.decode=64 batch.size=128 training.precision=32-true training.patience=0
  training.validate_every=100 training.save_every=100 training.workers=0
  optimiser.warmup_steps=100)
model=$out/pretrained
trained "$model" hoag train hoag/pretrained "$galaxies" "${size[@]}" training.steps=1000 --device cpu
unless "$out/untrained" python runs/untrained.py "$model" "$galaxies/gz2.parquet" "$out/untrained"

# (b) Are its posteriors true? On real counts, whose temperatures are kept, and on pseudo-counts.
unless "$out/calibration-hart16/calibration.json" \
  hoag calibrate "$model" "$galaxies" "$out/calibration-hart16" --where 'source == "hart16"'
unless "$out/calibration-kaggle/calibration.json" \
  hoag calibrate "$model" "$galaxies" "$out/calibration-kaggle" --where 'source == "kaggle"' --no-store
unless "$out/votes.fits" hoag predict "$model" "$galaxies/gz2.parquet" "$out/votes.fits" \
  --symmetries 8 --keep source

# (c) Rings of another telescope from 40 labels, 20 draws of them; (d) from five rings, 10 draws.
for name in pretrained untrained; do
  unless "$out/decals-$name.parquet" hoag embed "$out/$name" "$galaxies/decals-rings.parquet" \
    --symmetries 8 --out "$out/decals-$name.parquet"
done
unless "$out/sky" hoag simulate "$out/sky" --galaxies 200 --rings 1500 --workers 1
unless "$out/sky-rings.parquet" hoag embed "$model" "$out/sky/rings.parquet" --symmetries 8 \
  --out "$out/sky-rings.parquet"

# drawn PLACE ARGUMENTS...: draw labels into a file.
drawn() {
  local place=$1
  shift
  unless "$place" python runs/draw_labels.py "$@" --out "$place"
}

for draw in $(seq 0 19); do
  labels=$out/labels/forty-$draw.csv
  drawn "$labels" "$galaxies/decals-rings.parquet" ring --labels 40 --draw "$draw"
  for name in pretrained untrained; do
    unless "$out/found/$name-$draw.json" hoag find "$out/decals-$name.parquet" "$labels" \
      "$out/found/$name-$draw.parquet" --label ring
  done
done
for draw in $(seq 0 9); do
  five=$out/labels/five-$draw.csv others=$out/labels/others-$draw.csv
  simulated=$out/labels/simulated-$draw.csv
  drawn "$five" "$galaxies/decals-rings.parquet" ring --labels 5 --of 1 --draw "$draw"
  drawn "$others" "$galaxies/decals-rings.parquet" ring --labels 5 --of 0 --draw "$draw"
  drawn "$simulated" "$out/sky/rings.parquet" ring --labels 5 --of 1 --draw "$draw"
  for name in pretrained untrained; do
    unless "$out/searched/$name-$draw.parquet" hoag search "$out/decals-$name.parquet" \
      --examples "$five" --top 329 --out "$out/searched/$name-$draw.parquet"
  done
  unless "$out/searched/negatives-$draw.parquet" hoag search "$out/decals-pretrained.parquet" \
    --examples "$five" --negatives "$others" --top 324 --out "$out/searched/negatives-$draw.parquet"
  unless "$out/searched/simulated-$draw.parquet" hoag search "$out/sky-rings.parquet" \
    --examples "$simulated" --top 1495 --out "$out/searched/simulated-$draw.parquet"
done

# (e) Five classes: finetuned, a linear probe, and from random weights; then the export.
for labels in 200 2000; do
  table=$out/labels/classes-$labels.csv
  drawn "$table" "$galaxies/gz2-unlabelled.parquet" coarse_class --labels "$labels" \
    --learn-below 0.8 --tested 3000
  unless "$out/classes/probe-$labels.json" python runs/probe_classes.py "$model" \
    "$galaxies/gz2-unlabelled.parquet" "$table" "$out/classes/probe-$labels.json"
  # 15 passes of the 2,000 labels, where 40 are usual: the wait is not worth it here. Random weights
  # learn at one rate in all layers, since there is nothing in the early ones to keep.
  pace=(training.workers=0)
  [ "$labels" -lt 2000 ] || pace+=(training.steps=400)
  trained "$out/classes/finetuned-$labels" hoag finetune "$model" \
    "$galaxies/gz2-unlabelled.parquet" "$table" "${pace[@]}" --device cpu
  trained "$out/classes/scratch-$labels" hoag finetune "$out/untrained" \
    "$galaxies/gz2-unlabelled.parquet" "$table" "${pace[@]}" finetune.decay=1 --device cpu
done
unless "$out/export" hoag export "$out/classes/finetuned-2000" "$out/export" --onnx \
  --name "Five classes of Galaxy Zoo 2 galaxies"
unless "$out/export-checked.json" python runs/check_export.py "$out/export" \
  "$galaxies/gz2-unlabelled.parquet" "$out/export-checked.json"

# (f) A map coloured by what volunteers said: points alone.
unless "$out/gz2.parquet" hoag embed "$model" "$galaxies/gz2.parquet" --out "$out/gz2.parquet"
unless "$out/featured.csv" python runs/vote_fractions.py "$galaxies/gz2.parquet" \
  smooth-or-featured-gz2_featured-or-disk "$out/featured.csv"
unless "$out/map" hoag map "$out/gz2.parquet" "$out/map" --method umap \
  --catalogue "$out/featured.csv" --colour "featured or disk"

# (g) Three telescopes: is the telescope in the representation?
unless "$out/telescopes" hoag data build "$out/telescopes" --name "Three telescopes" --workers 1 \
  --campaign "gz2=$galaxies/gz2.parquet" --unlabelled "$galaxies/decals-rings.parquet" \
  --unlabelled "$galaxies/hst-goods.parquet" --survey gz2=SDSS \
  --survey decals-rings.parquet=DECaLS --survey hst-goods.parquet=HST
unless "$out/surveys/surveys.json" hoag surveys "$model" "$out/telescopes" "$out/surveys"
# And what changes when DECaLS galaxies are seen as by SDSS? Their size on the sky is not recorded;
# 60 arcsec is an assumption.
unless "$out/two" hoag data build "$out/two" --name "Two telescopes" --workers 1 \
  --campaign "gz2=$galaxies/gz2.parquet" --unlabelled "$galaxies/decals-rings.parquet" \
  --survey gz2=SDSS --survey decals-rings.parquet=DECaLS
unless "$out/degraded/surveys.json" hoag surveys "$model" "$out/two" "$out/degraded" \
  --degrade-to SDSS --field 60

# What was found, as numbers, as pictures and as a page.
python runs/gather.py "$out" docs/pictures/real-galaxies.json
python runs/pictures.py "$out" docs/pictures
python runs/write_page.py
