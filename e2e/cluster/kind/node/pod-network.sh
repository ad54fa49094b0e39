#!/bin/bash
# The pods' network, without a program that has to run: each node gives its pods addresses of the /24 that its own
# address ends with, takes all other pods to be on its link, and answers there for its own (proxy ARP).
set -euo pipefail
address=$(ip -4 -oneline address show dev eth0 scope global | awk '{ sub("/.*", "", $4); print $4; exit }')
number=${address##*.}
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv4/conf/eth0/proxy_arp
# Answer at once: by default the kernel waits up to 0.8 s, for a better answer.
echo 0 > /proc/sys/net/ipv4/neigh/eth0/proxy_delay
ip route replace @POD_PREFIX@.0.0/16 dev eth0
cat > /etc/cni/net.d/10-plato-sas.conflist <<END
{
  "cniVersion": "0.4.0",
  "name": "plato-sas",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-addresses",
        "ranges": [[{"subnet": "@POD_PREFIX@.${number}.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    }
  ]
}
END
