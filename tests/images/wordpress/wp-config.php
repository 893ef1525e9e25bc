<?php
// Settings out of the environment; a secret may come from the file that NAME_FILE names.
function archy_setting(string $name, string $default): string {
    $file = getenv($name . '_FILE');
    if ($file !== false && $file !== '') {
        return trim((string) file_get_contents($file));
    }
    $value = getenv($name);
    return $value === false ? $default : $value;
}
define('DB_HOST', archy_setting('WORDPRESS_DB_HOST', 'db'));
define('DB_NAME', archy_setting('WORDPRESS_DB_NAME', 'wordpress'));
define('DB_USER', archy_setting('WORDPRESS_DB_USER', 'wordpress'));
define('DB_PASSWORD', archy_setting('WORDPRESS_DB_PASSWORD', ''));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'] as $key) {
    define($key, hash('sha256', $key . DB_PASSWORD));
}
$url = archy_setting('WORDPRESS_URL', '');
if ($url === '' && isset($_SERVER['HTTP_HOST'])) {
    $url = 'http://' . $_SERVER['HTTP_HOST'];
}
if ($url !== '') {
    define('WP_HOME', $url);
    define('WP_SITEURL', $url);
}
// a node has no way out, and updates come as images
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISALLOW_FILE_MODS', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
