"""Geography: grid square codes of JIS X 0410, reference data of Hokkaido, distances by road."""
