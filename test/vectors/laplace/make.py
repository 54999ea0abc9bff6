# Makes thresholds.json: T_j = round(2^lambda / (1 + e^(rate * 2^j))) by mpmath 2000-bit arithmetic, an
# implementation that shares nothing with src/dp. Run: python3 make.py > thresholds.json
import json
import random

import mpmath
from mpmath import exp, mp, mpf, nint

mp.prec = 2000
random.seed(20240907)


def thresholds(num, den, digits, bits):
    return [int(nint(mpf(2) ** bits / (1 + exp(mpf(num) / den * 2**j)))) for j in digits]


rows = []
rates = [(1, 1), (1, 10), (1, 1000), (1, 3), (20, 1)]
while len(rates) < 505:
    den = random.choice([1, 10, 1000, 10**6, random.randrange(1, 10**9)])
    num = random.randrange(1, max(2, 20 * den))
    rates.append((num, den) if random.random() < 0.5 else (random.randrange(1, 1000), den * 1000))
for i, (num, den) in enumerate(rates):
    bits = 64 if i < 405 else random.choice([80, 96, 128])
    digits = sorted({0, 1, 2, random.randrange(3, 8)})
    values = [hex(t) for t in thresholds(num, den, digits, bits)]
    rows.append([str(num), str(den), bits, digits, values])
print(json.dumps({"made_by": "mpmath " + mpmath.__version__ + ", 2000 bits", "rows": rows}))
