"""From a corpus file to a folder of inputs, and back. Usage: corpus.py unpack FILE FOLDER | pack FILE FOLDER...

A corpus file has one input a line, as the inside of a byte string: readable, and one file for a target.
"""

import ast
import hashlib
import pathlib
import sys


def main():
    verb, file, *folders = sys.argv[1:]
    file, folders = pathlib.Path(file), [pathlib.Path(folder) for folder in folders]
    if verb == "unpack":
        for line in file.read_text().splitlines() if file.exists() else []:
            content = ast.literal_eval(f'b"{line}"')
            (folders[0] / hashlib.sha1(content).hexdigest()).write_bytes(content)
    else:
        inputs = {path.read_bytes() for folder in folders for path in folder.iterdir()}
        file.write_text("".join(f"{escaped(content)}\n" for content in sorted(inputs, key=lambda content: (len(content), content))))


def escaped(content):
    return "".join(chr(byte) if 0x20 <= byte < 0x7f and byte not in b'"\\' else f"\\x{byte:02x}" for byte in content)


if __name__ == "__main__":
    main()
