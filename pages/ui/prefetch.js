// Import a module of Streamlit's page while the browser is idle: it lies beside the one that the page began with.

export default function prefetch({ data }) {
  const page = document.querySelector('script[type="module"][src*="static/js/"]');
  if (!page || navigator.connection?.saveData) return;
  const fetchIt = () => import(new URL(data.module, page.src).href).catch(() => {}); // the figure asks again, and says why
  if ("requestIdleCallback" in window) requestIdleCallback(fetchIt, { timeout: 4000 });
  else setTimeout(fetchIt, 1500);
}
