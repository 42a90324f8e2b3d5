"""Work that meets other work on the same rows: interleaved statement by statement, on real connections."""
