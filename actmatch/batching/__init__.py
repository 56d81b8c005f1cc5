"""Many photographs on many processes: read, explained by workers of Ray, kept as Parquet rows.

`source` lists the photographs, `row` says what is kept of each, `store` keeps it through any crash,
`worker` explains on one core or GPU, `fleet` replaces workers that die, and `run` puts it together.
`census` sums the rows up, `pairs` compares two runs, and `summary` makes a page of both.
Ray and pyarrow are imported where they are needed. May import: what stands below `results`, and
`results`.
"""
