"""confluent-kafka's producer as a peer; README.md has its command line."""

from confluent_kafka import Producer

from benchmarks.peers.confluent_api import run

if __name__ == "__main__":
    run(Producer)
