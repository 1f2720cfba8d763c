package manifest

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
)

// pullSecrets collects the credentials of imagePullSecrets. What else a docker
// config.json can say, such as which program has credentials, is left out.
func (c *compiler) pullSecrets() {
	auths := map[string]json.RawMessage{}
	for i, ref := range c.pod.Spec.ImagePullSecrets {
		at := index("spec.imagePullSecrets", i) + ".name"
		s := c.findSecret(at, ref.Name, nil)
		if s == nil {
			continue
		}
		if s.Type != corev1.SecretTypeDockerConfigJson {
			c.addf(at, "%s: the Secret's type is %s: must be %s", quote(ref.Name), quote(string(s.Type)), corev1.SecretTypeDockerConfigJson)
			continue
		}
		var config struct {
			Auths map[string]json.RawMessage `json:"auths"`
		}
		if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil {
			// Not the decoder's words, which may have a part of it.
			c.addf(at, "%s: the Secret's %s is not the JSON of a docker config.json", quote(ref.Name), corev1.DockerConfigJsonKey)
			continue
		}
		for registry, auth := range config.Auths {
			if _, ok := auths[registry]; !ok {
				auths[registry] = auth
			}
		}
	}
	if len(auths) > 0 {
		c.credentials, _ = json.Marshal(map[string]any{"auths": auths}) // was JSON before
	}
}
