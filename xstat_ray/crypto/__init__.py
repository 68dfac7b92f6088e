"""Group elements, tags, Paillier and packing: the primitives, over contiguous numpy buffers."""
