#%%
import collections
import csv
import io
import random
import statistics

random.seed(1)
text = "city,day,sales\n" + "".join(f"{random.choice(['Rome', 'Oslo', 'Lima'])},{d},{random.randrange(100)}\n" for d in range(20_000))
rows = list(csv.DictReader(io.StringIO(text)))
len(rows)

#%%
by_city = collections.defaultdict(list)
for row in rows:
    by_city[row["city"]].append(int(row["sales"]))
{city: (len(sales), statistics.mean(sales)) for city, sales in by_city.items()}

#%%
ordered = sorted(rows, key=lambda row: (row["city"], -int(row["sales"])))
ordered[:2]
