package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// provisionerName is what the StorageClass names as its provisioner, and what
// volumes of ours are annotated with.
const provisionerName = "tidewatch.dev/test-provisioner"

// provisionedBy tells the volume controller of Kubernetes that somebody
// outside it deletes the volume; without it, it marks a released `local`
// volume with reclaim policy Delete as failed.
const provisionedBy = "pv.kubernetes.io/provisioned-by"

// resync is how long a pass that failed, or an event that was missed, waits
// for the next pass.
const resync = 2 * time.Second

// provisioner gives every claim of one StorageClass a directory on the one
// node of the cluster, and takes it back when the claim is gone.
//
// It is level-triggered: events only wake it, and a pass compares all claims
// with all volumes. A volume is named after its claim's uid, so a pass can be
// cut off and repeated at any point, by a new process too.
//
// The volumes are of kind `local`, not hostPath: the kubelet applies a pod's
// fsGroup to local volumes only, and a subPath of a hostPath volume would
// belong to root and be unwritable for a restricted pod.
type provisioner struct {
	client    kubernetes.Interface
	claims    listers.PersistentVolumeClaimLister
	volumes   listers.PersistentVolumeLister
	class     string
	node      string
	directory string
}

func newProvisionerCommand() *cobra.Command {
	var kubeconfig string
	p := &provisioner{}
	command := &cobra.Command{
		Use:   "provisioner",
		Short: "Provides directories of this machine as volumes for claims of one StorageClass",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return p.run(command.Context(), kubeconfig)
		},
		SilenceUsage: true,
	}
	flags := command.Flags()
	flags.StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	flags.StringVar(&p.class, "class", "", "the StorageClass whose claims are served")
	flags.StringVar(&p.node, "node", "", "the node on which the directories are")
	flags.StringVar(&p.directory, "directory", "", "absolute path under which the directories are made")
	for _, name := range []string{"kubeconfig", "class", "node", "directory"} {
		_ = command.MarkFlagRequired(name) // fails for unknown flag names only
	}
	return command
}

func (p *provisioner) run(ctx context.Context, kubeconfig string) error {
	if ctx == nil {
		ctx = context.Background()
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400 // the defaults would queue a parallel test run's claims for seconds
	if p.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}

	wake := make(chan struct{}, 1)
	wakeUp := func(any) {
		select {
		case wake <- struct{}{}:
		default: // a pass is owed already
		}
	}
	onChange := cache.ResourceEventHandlerFuncs{
		AddFunc: wakeUp, DeleteFunc: wakeUp,
		UpdateFunc: func(_, current any) { wakeUp(current) },
	}
	factory := informers.NewSharedInformerFactory(p.client, 0)
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	p.claims, p.volumes = claims.Lister(), volumes.Lister()
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()} {
		if _, err := informer.AddEventHandler(onChange); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	tick := time.NewTicker(resync)
	defer tick.Stop()
	for {
		if err := p.pass(ctx); err != nil {
			klog.ErrorS(err, "provisioner: the pass was not complete")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-tick.C:
		}
	}
}

// pass goes over all claims and all volumes once. One that fails does not
// hold up the others.
func (p *provisioner) pass(ctx context.Context) error {
	claims, err := p.claims.List(labels.Everything())
	if err != nil {
		return err
	}
	volumes, err := p.volumes.List(labels.Everything())
	if err != nil {
		return err
	}
	existing := make(map[string]bool, len(volumes))
	for _, volume := range volumes {
		existing[volume.Name] = true
	}
	var faults []error
	for _, claim := range claims {
		if p.owes(claim) && !existing[volumeName(claim)] {
			faults = append(faults, p.provide(ctx, claim))
		}
	}
	for _, volume := range volumes {
		if volume.Annotations[provisionedBy] == provisionerName && volume.DeletionTimestamp == nil {
			faults = append(faults, p.takeBack(ctx, volume))
		}
	}
	return errors.Join(faults...)
}

// owes says whether the claim waits for a volume from us.
func (p *provisioner) owes(claim *core.PersistentVolumeClaim) bool {
	filesystem := claim.Spec.VolumeMode == nil || *claim.Spec.VolumeMode == core.PersistentVolumeFilesystem
	return claim.Spec.StorageClassName != nil && *claim.Spec.StorageClassName == p.class && filesystem &&
		claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil
}

func volumeName(claim *core.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

// provide makes the directory first: a bound claim whose directory is missing
// would fail the pod's mount.
func (p *provisioner) provide(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	name := volumeName(claim)
	path := filepath.Join(p.directory, name)
	// Root's, as a fresh disk is: a pod without fsGroup must not be able to write here either.
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("directory for claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, p.volume(claim, name, path), meta.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("volume for claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	klog.InfoS("provided", "claim", klog.KObj(claim), "volume", name)
	return nil
}

func (p *provisioner) volume(claim *core.PersistentVolumeClaim, name, path string) *core.PersistentVolume {
	onThisNode := core.NodeSelectorRequirement{
		Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{p.node},
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisionerName}},
		Spec: core.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes, // ReadWriteOncePod is kept by the scheduler, not by us
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			StorageClassName:              p.class,
			PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{
				NodeSelectorTerms: []core.NodeSelectorTerm{{MatchExpressions: []core.NodeSelectorRequirement{onThisNode}}},
			}},
			// with the uid: a later claim of the same name must never be handed an earlier one's data
			ClaimRef: &core.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}
}

// takeBack removes volume and directory when the claim is gone.
func (p *provisioner) takeBack(ctx context.Context, volume *core.PersistentVolume) error {
	owner := volume.Spec.ClaimRef
	if owner == nil {
		return nil
	}
	if claim, err := p.claims.PersistentVolumeClaims(owner.Namespace).Get(owner.Name); err == nil && claim.UID == owner.UID {
		return nil
	}
	// Claims and volumes come through two streams: the cache may know the volume and not yet its claim. So ask.
	claim, err := p.client.CoreV1().PersistentVolumeClaims(owner.Namespace).Get(ctx, owner.Name, meta.GetOptions{})
	if err == nil && claim.UID == owner.UID {
		return nil
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("claim of volume %s: %w", volume.Name, err)
	}
	// The directory first: without its volume nobody would know of it.
	if err := os.RemoveAll(filepath.Join(p.directory, volume.Name)); err != nil {
		return fmt.Errorf("directory of volume %s: %w", volume.Name, err)
	}
	err = p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("volume %s: %w", volume.Name, err)
	}
	klog.InfoS("took back", "volume", volume.Name)
	return nil
}
