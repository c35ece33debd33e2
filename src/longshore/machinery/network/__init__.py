"""Pod addresses and links, service routing by nftables, cluster DNS."""
