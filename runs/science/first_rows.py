"""Write the first rows of a Parquet table: python runs/science/first_rows.py TABLE ROWS OUT"""

import sys

import pyarrow.parquet as pq

from hoag.files import written_whole

table, rows, out = sys.argv[1:]
parts = []
for part in pq.ParquetFile(table).iter_batches(1024):
    parts.append(part)
    if sum(map(len, parts)) >= int(rows):
        break
with written_whole(out) as path, pq.ParquetWriter(path, parts[0].schema) as writer:
    for number, part in enumerate(parts):
        left = int(rows) - sum(map(len, parts[:number]))
        writer.write_batch(part.slice(0, left))
