"""The cases, one file for each family: functions that are given a `turns.Bench` and keep rows."""
