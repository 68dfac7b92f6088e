"""The heavy arithmetic behind one interface.

gmpy2 and numpy anywhere, AES instructions and AVX-512 IFMA where the processor has them, and
python-paillier as the reference.
"""
