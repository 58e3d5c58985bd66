// Package kubetest checks misc/kubernetes.yaml against the types of the Kubernetes API. It is a separate module, so that the daemon
// does not depend on them.
package kubetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// decode decodes every document as the API server does with strict field validation: unknown and repeated fields are errors.
func decode(text []byte) (objects []runtime.Object, err error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), networkingv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if err == io.EOF {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

func read(t *testing.T, path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestKubernetes decodes the file, and checks what the daemon and its image rely on.
func TestKubernetes(t *testing.T) {
	objects, err := decode(read(t, "../kubernetes.yaml"))
	if err != nil || len(objects) != 3 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	account, deployment := objects[0].(*corev1.ServiceAccount), objects[1].(*appsv1.Deployment)
	policy := objects[2].(*networkingv1.NetworkPolicy).Spec
	pod := deployment.Spec.Template.Spec
	c := pod.Containers[0]
	image := string(read(t, "../../Dockerfile"))
	for what, ok := range map[string]bool{
		"one replica, never two":      *deployment.Spec.Replicas == 1 && deployment.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType,
		"the selector finds the pods": fmt.Sprint(deployment.Spec.Selector.MatchLabels) == fmt.Sprint(deployment.Spec.Template.Labels),
		"the account":                 pod.ServiceAccountName == account.Name && account.Annotations["iam.gke.io/gcp-service-account"] != "",
		"time to end":                 *pod.TerminationGracePeriodSeconds > 8,
		"the image's user": *pod.SecurityContext.RunAsNonRoot &&
			strings.Contains(image, fmt.Sprintf("\nUSER %d:%d\n", *pod.SecurityContext.RunAsUser, *pod.SecurityContext.RunAsGroup)),
		"the image's port": strings.Contains(image, fmt.Sprintf("\nEXPOSE %d\n", c.Ports[0].ContainerPort)) &&
			c.Ports[0].Name == c.LivenessProbe.HTTPGet.Port.StrVal && c.Ports[0].Name == c.ReadinessProbe.HTTPGet.Port.StrVal,
		"probes":                      c.LivenessProbe.HTTPGet.Path == "/healthz" && c.ReadinessProbe.HTTPGet.Path == "/readyz",
		"a read-only root":            *c.SecurityContext.ReadOnlyRootFilesystem && !*c.SecurityContext.AllowPrivilegeEscalation,
		"no capabilities":             fmt.Sprint(c.SecurityContext.Capabilities.Drop) == "[ALL]",
		"a writable /tmp":             c.VolumeMounts[0].MountPath == "/tmp" && !c.VolumeMounts[0].ReadOnly && pod.Volumes[0].Name == c.VolumeMounts[0].Name && pod.Volumes[0].EmptyDir != nil,
		"requests":                    !c.Resources.Requests.Cpu().IsZero() && c.Resources.Requests.Memory().Cmp(*c.Resources.Limits.Memory()) <= 0,
		"the policy finds the pods":   fmt.Sprint(policy.PodSelector.MatchLabels) == fmt.Sprint(deployment.Spec.Template.Labels),
		"the policy is for both ways": fmt.Sprint(policy.PolicyTypes) == "[Ingress Egress]",
		"only the status port is open": len(policy.Ingress) == 1 && len(policy.Ingress[0].From) == 1 && len(policy.Ingress[0].Ports) == 1 &&
			policy.Ingress[0].Ports[0].Port.IntVal == c.Ports[0].ContainerPort,
		"names, the metadata server and HTTPS can be reached": reach(policy) == "any:53 any:53 169.254.169.254/32:80 169.254.169.252/32:988 0.0.0.0/0:443",
		"the project": fmt.Sprint(c.Args) == "[-project=PROJECT]",
	} {
		if !ok {
			t.Errorf("wrong: %s", what)
		}
	}
}

// reach lists where the policy lets the pod connect to.
func reach(policy networkingv1.NetworkPolicySpec) string {
	var found []string
	for _, rule := range policy.Egress {
		to := "any"
		for _, peer := range rule.To {
			to = peer.IPBlock.CIDR
		}
		for _, p := range rule.Ports {
			found = append(found, fmt.Sprintf("%s:%d", to, p.Port.IntVal))
		}
	}
	return strings.Join(found, " ")
}

// TestStrict checks that decode refuses mistakes, so that TestKubernetes means something.
func TestStrict(t *testing.T) {
	good := string(read(t, "../kubernetes.yaml"))
	for _, change := range [][3]string{
		{"readOnlyRootFilesystem", "readOnlyRootFileSystem", "unknown field"},
		{"      serviceAccountName: prevmtable\n", "      serviceAccountName: a\n      serviceAccountName: b\n", "already set"},
		{"kind: Deployment", "kind: Deploiment", "no kind"},
		{"replicas: 1", "replicas: one", "cannot unmarshal"},
		{"podSelector", "podSelektor", "unknown field"},
		{"containerPort: 9797", "containerPort: 97.5", "cannot unmarshal"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if _, err := decode([]byte(bad)); bad == good || err == nil || !strings.Contains(err.Error(), change[2]) {
			t.Errorf("%s instead of %s: error %v, want %s", change[1], change[0], err, change[2])
		}
	}
}
