// Kube is every part of a one-node Kubernetes in one binary: etcd, the API
// server, the controllers, the scheduler, kubelet, kube-proxy, kubectl, and a
// volume provisioner of our own. The first argument names the part, the rest
// are that part's own flags.
//
// One binary because all of them share most of their code: linked apart they
// would take seven times the disk and the linking time. It is test equipment
// and never shipped.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// parts makes commands lazily: building one registers its feature gates and
// flags globally, and two of them in one process disagree.
var parts = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-proxy":              proxy.NewProxyCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"provisioner":             newProvisionerCommand,
}

func main() {
	if len(os.Args) < 2 {
		usage("which part?")
	}
	part := os.Args[1]
	os.Args = os.Args[1:]
	if part == "etcd" { // reads os.Args itself, and has no cobra command
		etcdmain.Main(os.Args)
		return
	}
	newCommand, known := parts[part]
	if !known {
		usage(fmt.Sprintf("there is no part %q", part))
	}
	os.Exit(cli.Run(newCommand()))
}

func usage(fault string) {
	names := append(slices.Sorted(maps.Keys(parts)), "etcd")
	fmt.Fprintf(os.Stderr, "kube: %s\nusage: kube %s FLAGS\n", fault, strings.Join(names, "|"))
	os.Exit(2)
}
