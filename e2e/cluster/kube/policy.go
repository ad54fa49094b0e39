package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	core "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	syncPeriod = time.Minute
	syncLimit  = 30 * time.Second // one synchronisation takes a tenth of a second
	syncPause  = 2 * time.Second
)

// runPolicyController enforces NetworkPolicies with kube-router's controller. kube-router's own command also links
// its router, BGP and service proxy, for which the platform has no use.
func runPolicyController() int {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	node := flag.String("hostname-override", "", "the name of this node")
	services := flag.String("service-cluster-ip-range", "", "the services' network")
	health := flag.String("healthz-bind-address", "", "where /healthz is served")
	flag.Parse()
	if err := enforcePolicies(*kubeconfig, *node, *services, *health); err != nil {
		fmt.Fprintf(os.Stderr, "kube-router: %v\n", err)
		return 1
	}
	return 0
}

func enforcePolicies(kubeconfig, node, services, health string) error {
	client, err := connect(kubeconfig)
	if err != nil {
		return err
	}
	config := options.NewKubeRouterConfig()
	config.HostnameOverride = node
	config.ClusterIPCIDRs = []string{services}
	config.EnableIPv4 = true
	config.IPTablesSyncPeriod = syncPeriod

	stop := make(chan struct{})
	// This node's pods alone: the simulated nodes of a benchmark have very many, and no packet.
	pods := core.NewFilteredPodInformer(client, meta.NamespaceAll, 0,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc},
		func(list *meta.ListOptions) { list.FieldSelector = "spec.nodeName=" + node })
	factory := informers.NewSharedInformerFactory(client, 0)
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(stop)
	go pods.Run(stop)
	factory.WaitForCacheSync(stop)
	cache.WaitForCacheSync(stop, pods.HasSynced)

	tables, sets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return err
	}
	var setsInUse sync.Mutex
	controller, err := netpol.NewNetworkPolicyController(
		client, config, pods, policies, namespaces, &setsInUse, tables, sets)
	if err != nil {
		return err
	}
	if _, err = pods.AddEventHandler(controller.PodEventHandler); err != nil {
		return err
	}
	if _, err = namespaces.AddEventHandler(controller.NamespaceEventHandler); err != nil {
		return err
	}
	if _, err = policies.AddEventHandler(controller.NetworkPolicyEventHandler); err != nil {
		return err
	}

	beats := make(chan *healthcheck.ControllerHeartbeat)
	failed := serveHealth(health, beats)
	var running sync.WaitGroup
	running.Add(1)
	go controller.Run(beats, stop, &running)

	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGINT, syscall.SIGTERM)
	select {
	case err = <-failed:
	case <-asked:
	}
	close(stop)
	running.Wait()
	return err
}

func connect(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// serveHealth answers /healthz by the controller's heartbeats. The controller sends one at the start of each
// synchronisation, and waits until it is taken. So they are also what paces it: without a pause, each of the many pods
// that start and end at the same time would cost a synchronisation of all, a tenth of the machine.
func serveHealth(address string, beats <-chan *healthcheck.ControllerHeartbeat) <-chan error {
	var latest atomic.Int64
	go func() {
		for beat := range beats {
			latest.Store(beat.LastHeartBeat.UnixNano())
			time.Sleep(syncPause)
		}
	}()
	http.HandleFunc("/healthz", func(response http.ResponseWriter, _ *http.Request) {
		if age := time.Since(time.Unix(0, latest.Load())); age > syncPeriod+syncLimit {
			http.Error(response, "no synchronisation", http.StatusServiceUnavailable)
		}
	})
	failed := make(chan error, 1)
	go func() { failed <- http.ListenAndServe(address, nil) }()
	return failed
}
