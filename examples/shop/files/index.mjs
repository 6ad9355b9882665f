export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    return Response.json({ file: pathname.replace(/^\/files\//, '') });
  },
};
