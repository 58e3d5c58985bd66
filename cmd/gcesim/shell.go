package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// prepare returns the command to run and an environment in which it uses the project. For an interactive shell it writes a start-up file to
// dir. That file runs the user's own start-up file, sets the environment again, and adds the project to the prompt.
func prepare(command []string, project, host, dir string) (args, env []string, err error) {
	set := environment(project, host, filepath.Join(dir, "gcloud"))
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !selectsProject(name) {
			env = append(env, v)
		}
	}
	env = append(env, set...)
	if len(command) > 2 || len(command) == 2 && command[1] != "-i" {
		return command, env, nil
	}
	start := func(file, prompt, own string) error {
		return os.WriteFile(filepath.Join(dir, file), []byte(startUp(set, own, prompt, project)), 0o600)
	}
	switch shell := filepath.Base(command[0]); shell {
	case "bash":
		command = append([]string{command[0], "--rcfile", filepath.Join(dir, "bashrc")}, command[1:]...)
		err = start("bashrc", "PS1", "~/.bashrc")
	case "zsh":
		env = append(env, "ZDOTDIR="+dir)
		err = start(".zshrc", "PROMPT", "~/.zshrc")
	case "sh", "dash", "ksh":
		env = append(env, "ENV="+filepath.Join(dir, "shrc"))
		err = start("shrc", "PS1", "")
	}
	return command, env, err
}

// startUp returns the start-up file of a shell. It also ends the jobs of the shell when the shell exits.
func startUp(set []string, own, prompt, project string) string {
	var b strings.Builder
	if own != "" {
		fmt.Fprintf(&b, "if [ -r %s ]; then . %s; fi\n", own, own)
	}
	b.WriteString("unset PROMPT_COMMAND GOOGLE_APPLICATION_CREDENTIALS CLOUDSDK_ACTIVE_CONFIG_NAME\n")
	for _, v := range set {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	fmt.Fprintf(&b, "%s=\"(gcesim %s) $%s\"\n", prompt, project, prompt)
	b.WriteString("trap 'kill $(jobs -p) 2>/dev/null' EXIT\n")
	return b.String()
}

// selectsProject reports whether a variable could make Google's tools or prevmtable use a real project.
func selectsProject(name string) bool {
	switch name {
	case "CLOUDSDK_PYTHON", "CLOUDSDK_PYTHON_ARGS", "CLOUDSDK_PYTHON_SITEPACKAGES", "CLOUDSDK_ROOT_DIR":
		return false // where gcloud is installed
	case "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "PREVMTABLE_PROJECT", "PREVMTABLE_COMPUTE_ENDPOINT", "GCE_METADATA_HOST":
		return true
	}
	return strings.HasPrefix(name, "CLOUDSDK_")
}

// environment returns the variables that make Google's libraries, gcloud and prevmtable use the project. With them gcloud needs no login, and
// leaves the user's settings alone.
func environment(project, host, gcloudConfig string) []string {
	env := []string{
		"GCE_METADATA_HOST=" + host,
		"PREVMTABLE_COMPUTE_ENDPOINT=http://" + host + "/compute/v1/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE=http://" + host + "/compute/v1/",
		"CLOUDSDK_CORE_PROJECT=" + project,
		"CLOUDSDK_CONFIG=" + gcloudConfig,
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_CORE_CHECK_GCE_METADATA=false",
		"CLOUDSDK_CORE_DISABLE_PROMPTS=true",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
	}
	// This includes an API that is not simulated, so that no request goes to Google.
	for _, service := range []string{"iam", "cloudresourcemanager", "serviceusage", "artifactregistry", "cloudbuild", "storage", "logging"} {
		env = append(env, "CLOUDSDK_API_ENDPOINT_OVERRIDES_"+strings.ToUpper(service)+"=http://"+host+"/apis/"+service+"/")
	}
	return env
}

// workDir makes a folder for gcloud's settings and the start-up files of shells.
func workDir() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "gcesim-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if err := os.Mkdir(filepath.Join(dir, "gcloud"), 0o700); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}
