#%%
import base64
import math
import struct
import zlib
from IPython.display import Image, display

def png(width, height, pixel):
    rows = b"".join(b"\0" + bytes(pixel(x, y) for x in range(width)) for y in range(height))
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

#%%
display(Image(png(300, 300, lambda x, y: int(127 + 127 * math.sin(x / 20) * math.cos(y / 30)))))

#%%
frames = [png(80, 80, lambda x, y, n=n: (x * y + n) % 256) for n in range(10)]
sum(map(len, frames))
