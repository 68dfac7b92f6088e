"""Geography: the grid square codes of JIS X 0410, the reference data of Hokkaido, distances by road."""
