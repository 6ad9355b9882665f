"""A handler in a folder, which imports its neighbour."""

from events import checksum


def handler(event, context):
    return {"crc": checksum(event, context)}
