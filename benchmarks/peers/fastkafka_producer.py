"""fastkafka's producer as a peer; README.md has its command line."""

from benchmarks.peers.confluent_api import run
from fastkafka import Producer

if __name__ == "__main__":
    run(Producer)
