#%%
import math

def primes(below):
    return [n for n in range(2, below) if all(n % d for d in range(2, math.isqrt(n) + 1))]

#%%
print(len(primes(60_000)))

#%%
total = 0
for n in range(3_000_000):
    total += n * n
total
