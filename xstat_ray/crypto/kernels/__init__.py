"""The heavy arithmetic behind one interface.

gmpy2 and libsodium anywhere, AVX-512 IFMA where the processor has it, and python-paillier as the
reference.
"""
