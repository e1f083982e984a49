#%%
import time

print("waiting for the machine")
time.sleep(0.3)

#%%
for n in range(3):
    time.sleep(0.1)
    print(n)
