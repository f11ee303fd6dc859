// kube-control-plane is the API server, the controller manager or the scheduler, by the name it is called by. The three
// share most of their code: as one program they are half as many bytes to load into the control plane's Docker.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// command is made only for the name that is asked for: each registers flags of its own.
func command(name string) *cobra.Command {
	switch name {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		pflag.CommandLine.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
		return scheduler.NewSchedulerCommand()
	}
	return nil
}

func main() {
	rand.Seed(time.Now().UnixNano())
	called := command(filepath.Base(os.Args[0]))
	if called == nil {
		fmt.Fprintln(os.Stderr, "call me kube-apiserver, kube-controller-manager or kube-scheduler")
		os.Exit(2)
	}
	logs.InitLogs()
	defer logs.FlushLogs()
	if err := called.Execute(); err != nil {
		os.Exit(1)
	}
}
