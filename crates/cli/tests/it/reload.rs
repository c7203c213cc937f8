//! A folder that changes under a running server.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::folder::{Folder, Server, until};
use crate::http::{get, post};

const TICKET: &str = r#"{"intent":"classify-ticket","input":{"text":"I was charged twice"}}"#;
const ONE_LABEL_MORE: &str = "models = [\"local\"]\n[labels]\nbilling = \"invoices\"\nbug = \"broken\"\n\
                              how-to = \"asks\"\naccount = \"login\"\nspam = \"\"\n[local]\ncut = 0\n";

fn served(folder: &Folder) -> Server {
    folder.serve(&["serve", "--listen", "127.0.0.1:0"])
}

fn version(server: &Server) -> Value {
    let answer = post(&server.address, "/v1/execute", TICKET).is(200).json();
    answer["version"].clone()
}

fn configuration(server: &Server) -> Value {
    let readyz = get(&server.address, "/readyz").is(200).json();
    assert_eq!(readyz["status"], "ready", "a folder is no reason to send calls elsewhere");
    readyz["configuration"].clone()
}

#[test]
fn a_change_is_in_force_without_a_restart_and_a_removed_intent_is_gone() {
    let folder = Folder::init();
    let server = served(&folder);
    let first = version(&server);
    folder.write("intents/classify-ticket/intent.toml", ONE_LABEL_MORE);
    until("the change", || version(&server) != first);

    folder.write("intents/second/intent.toml", ONE_LABEL_MORE);
    let call = TICKET.replace("classify-ticket", "second");
    until("the second intent", || post(&server.address, "/v1/execute", &call).status != 404);

    std::fs::remove_dir_all(folder.path().join("intents/second")).unwrap();
    until("its end", || post(&server.address, "/v1/execute", &call).status == 404);

    folder.write("baton.toml", "[store]\ndurability = \"machine\"\n");
    until("baton.toml", || {
        get(&server.address, "/metrics").body.contains("baton_configuration_reloads_total{result=\"applied\"} 4")
    });
    let err = server.stop().done().err;
    for line in [
        "is in force: changed classify-ticket\n",
        "is in force: added second\n",
        "is in force: removed second\n",
        "is in force: baton.toml: [store]\n",
        "warning: [store] is read at the start: restart the server for what it says now\n",
    ] {
        assert!(err.contains(line), "`{line}` is not in:\n{err}");
    }
}

#[test]
fn a_wrong_folder_is_refused_and_told_as_check_tells_it() {
    let folder = Folder::init();
    let good = std::fs::read_to_string(folder.path().join("intents/classify-ticket/intent.toml")).unwrap();
    let server = served(&folder);
    let first = version(&server);
    assert_eq!(configuration(&server), json!({"state": "ok"}));

    folder.write("intents/classify-ticket/intent.toml", &ONE_LABEL_MORE.replace("[labels]", "[lables]"));
    folder.write("intents/second/intent.toml", ONE_LABEL_MORE);
    until("the refusal", || configuration(&server)["state"] == "refused");
    let reason = configuration(&server)["reason"].to_string();
    assert!(reason.contains("refused since ") && reason.contains("stays in force"), "{reason}");
    assert_eq!(version(&server), first);
    let call = TICKET.replace("classify-ticket", "second");
    assert_eq!(post(&server.address, "/v1/execute", &call).status, 404, "as a whole");
    let told = folder.run(&["check"]).ends(2, "lables").err;

    folder.write("intents/classify-ticket/intent.toml", &good);
    until("the way back", || configuration(&server) == json!({"state": "ok"}));
    assert_eq!(version(&server), first);
    until("the second", || post(&server.address, "/v1/execute", &call).status != 404);

    folder.write("intents/second/intent.toml", "models = 5\n");
    until("another refusal", || configuration(&server)["state"] == "refused");
    folder.write("intents/second/intent.toml", ONE_LABEL_MORE);
    until("the files as before", || configuration(&server) == json!({"state": "ok"}));
    let err = server.stop().done().err;
    assert!(err.contains(&told), "what `check` says:\n{told}\nis not in:\n{err}");
    assert!(err.contains("the files say what is in force again\n"), "{err}");
}

/// As Kubernetes mounts a ConfigMap: the files are links into `..data`, a link that is swapped.
#[test]
fn a_mounted_folder_is_swapped() {
    let folder = Folder::init();
    let intent = folder.path().join("intents/classify-ticket");
    let version_of = |name: &str, text: &str| {
        let at = intent.join(name);
        std::fs::create_dir(&at).unwrap();
        std::fs::copy(intent.join("cases.jsonl"), at.join("cases.jsonl")).unwrap();
        std::fs::write(at.join("intent.toml"), text).unwrap();
    };
    version_of("..1", &std::fs::read_to_string(intent.join("intent.toml")).unwrap());
    for file in std::fs::read_dir(&intent).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        std::fs::remove_file(file).unwrap();
    }
    symlink("..1", intent.join("..data")).unwrap();
    for file in ["intent.toml", "cases.jsonl"] {
        symlink(Path::new("..data").join(file), intent.join(file)).unwrap();
    }
    let server = served(&folder);
    let first = version(&server);
    version_of("..2", ONE_LABEL_MORE);
    symlink("..2", intent.join("..data_tmp")).unwrap();
    std::fs::rename(intent.join("..data_tmp"), intent.join("..data")).unwrap();
    until("the swap", || version(&server) != first);
    assert_eq!(server.stop().done().err.matches("is in force").count(), 1);
}

#[test]
fn a_new_key_in_its_file_is_picked_up_and_a_signal_looks_at_once() {
    let folder = Folder::init();
    folder.write("secrets/house", "one");
    folder.write(
        "baton.toml",
        "[providers.house]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:9/v1\"\n\
         api_key = { file = \"secrets/house\" }\n",
    );
    let server = served(&folder);
    let reloads = |result: &str| {
        let text = get(&server.address, "/metrics").body;
        let start = format!("baton_configuration_reloads_total{{result=\"{result}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)?.parse::<u64>().ok()).unwrap()
    };
    folder.write("secrets/house", "two");
    until("the key", || reloads("applied") == 1);
    std::fs::remove_file(folder.path().join("secrets/house")).unwrap();
    until("the refusal", || configuration(&server)["state"] == "refused");
    folder.write("secrets/house", "two");
    until("the way back", || configuration(&server)["state"] == "ok");

    let before = reloads("unchanged");
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    until("the signal", || reloads("unchanged") > before);
    let err = server.stop().done().err;
    assert!(err.contains("is in force: providers: house\n"), "{err}");
    assert!(err.contains("cannot read the key from"), "{err}");
}
