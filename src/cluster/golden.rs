use std::path::Path;

/// Compares with a file of the source tree; with `TIDEWATCH_UPDATE_GOLDEN` in the environment it is written instead.
pub(super) fn compare(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("TIDEWATCH_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == text,
        "{} is not what is rendered now; look at the difference after running with TIDEWATCH_UPDATE_GOLDEN=1",
        path.display()
    );
}
